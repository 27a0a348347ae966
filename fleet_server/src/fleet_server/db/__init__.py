"""Tables, engine and migrations. Everything else reaches the database through `engine.Database`."""
