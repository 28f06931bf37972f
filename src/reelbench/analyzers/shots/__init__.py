"""Where one shot ends and the next begins, and which shots belong to one scene."""
