"""A harness to compare recurrent cells fairly."""
