/* Graphs. */
#ifndef FAKECUDA_GRAPH_H
#define FAKECUDA_GRAPH_H

/* The last piece of work of a graph's launch has ended. */
void launch_end(void *launch);

#endif
