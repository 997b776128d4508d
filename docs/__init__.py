"""The documentation: its pages, and what makes the site of them."""
