"""How the appliance stands at a site: bundles for machines without a network, configuration, health."""
