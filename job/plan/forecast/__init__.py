"""What a run will take, told before it is started: images a second, what holds it up, hours of pods, and the price.

Light: neither torch nor Ray, for the launcher asks it.
"""
