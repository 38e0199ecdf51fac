"""The two servers, one in each folder, with the same files; and the child process that both use."""
