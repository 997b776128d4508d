"""A harness to compare recurrent networks fairly."""
