pub fn svg() {}
pub fn table() {}
