"""One process per loaded model version. It has no keys and no network; a runtime that crashes takes only this down."""
