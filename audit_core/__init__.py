"""The science of the audit: samples and a checkpoint in, plain numbers out."""
