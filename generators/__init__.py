"""What makes signals: sources, scene planning, speech, alignment, acoustics, images, actions."""
