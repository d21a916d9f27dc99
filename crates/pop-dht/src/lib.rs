//! pop-dht
