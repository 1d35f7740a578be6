// Package etcdserverpb is empty: only tests of service-center import it.
package etcdserverpb
