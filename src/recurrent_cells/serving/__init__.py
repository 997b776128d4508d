"""An HTTP server in which trained networks answer."""
