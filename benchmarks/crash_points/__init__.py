"""Every write of a command, in turn, is the last before a kill or a power cut, or fails."""
