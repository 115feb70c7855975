"""The commands: one file each, which parses, calls one function of `fixgrid` and echoes what it gives."""
