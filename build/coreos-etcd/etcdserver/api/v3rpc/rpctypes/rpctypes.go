// Package rpctypes is empty: only tests of service-center import it.
package rpctypes
