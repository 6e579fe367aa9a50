/** How fast all of it is: the JMH suite, against peers. */
package megalodon4j.bench;
