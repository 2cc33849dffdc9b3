"""What limits the answer of the first page: rules about the study, its models, its readers and its cases."""
