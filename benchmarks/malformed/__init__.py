"""Bad input to every command: each ends with the stated code and a line or two, and leaves nothing behind."""
