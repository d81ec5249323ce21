//! (room azure)
