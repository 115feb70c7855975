"""From a frozen module to what runs it on pixels."""
