"""What customers can do: one verb a file."""
