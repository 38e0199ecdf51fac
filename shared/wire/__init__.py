"""The wire protocol: messages, frames, refusals, and one connection as a state machine. No input or output."""
