"""Planning decides: which step runs when and where. Pure: no process, thread, file or clock."""
