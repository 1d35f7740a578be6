// Package etcdserver is empty: only tests of service-center import it.
package etcdserver
