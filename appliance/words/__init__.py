"""The one table from numbers and states to sentences: screens, commands, reports. START HERE: table.py."""
