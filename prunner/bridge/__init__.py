"""The bridge carries across: messages, data, exceptions, log records and hook calls."""
