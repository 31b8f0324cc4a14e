"""The terminal user interface of the appliance."""
