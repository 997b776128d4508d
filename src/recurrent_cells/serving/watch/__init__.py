"""A live page of a sweep: its trials, curves and comparison as the store has them, and buttons that set tags."""
