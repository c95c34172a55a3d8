"""Pictures: values below, drawing above. Importing this room, or its values, imports no matplotlib.

panels, style                          what is to be seen, as values; how methods look
looks                                  which style each line of a picture has
text, axes, lines, canvas              measured words, ticks, thinned lines; a figure in CSS pixels
occupancy, labels, marks               words that keep out of each other's way
layout; charts, curves, maps, heats, bars   the room that a panel asks for, and what it draws
figure, multiples, svg                 panels side by side; a figure as SVG or a file
draw, race, film                       pictures, the figures of a race, and films: what other rooms call
"""
