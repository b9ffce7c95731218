//! What the cross-crate suite shares.
