/** What a run is: config, data, loop, checkpoint, report, command line. */
package megalodon4j.train;
