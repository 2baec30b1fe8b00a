"""The demo: synthetic people, seven services, and the story they tell."""
