"""The Methods text of the report and its bibliography."""
