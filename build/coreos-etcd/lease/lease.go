// Package lease is empty: only tests of service-center import it.
package lease
