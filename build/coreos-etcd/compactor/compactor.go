// Package compactor is empty: only tests of service-center import it.
package compactor
