// Package clientv3 is empty: only tests of service-center import it.
package clientv3
