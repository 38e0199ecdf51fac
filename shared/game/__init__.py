"""The game: multiplayer snake after 7WebPages/snakepit-game, without a network."""
