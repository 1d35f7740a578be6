module example.org/documents
