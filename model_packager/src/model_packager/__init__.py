"""The packager: from model files and a recipe to one signed, encrypted bundle, and to the server."""
