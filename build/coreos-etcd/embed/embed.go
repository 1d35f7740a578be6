// Package embed is empty: only tests of service-center import it.
package embed
