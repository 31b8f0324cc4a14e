"""The appliance: workspace, audits, policies, log and evidence of one site."""
