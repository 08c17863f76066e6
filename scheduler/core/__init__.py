"""Pure core of the scheduler: events in, commands out. No clock, no input or output, no Ray, no text."""
