"""What one fan-out, one wait and one step cost, beside the bare system call and a peer."""
