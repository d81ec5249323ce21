//! (room drill)
