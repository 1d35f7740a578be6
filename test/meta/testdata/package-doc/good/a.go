// Package good knows nothing, and must not know more.
package good
