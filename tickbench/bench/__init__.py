"""Time one fan-out, one wait and one step of the game, beside the bare system call and another library."""
