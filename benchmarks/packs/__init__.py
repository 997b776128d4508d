"""Trials as packs beside trials one by one."""
