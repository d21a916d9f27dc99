//! The ledger over a WebSocket.

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use pop_incentive::ledger::protocol::{LedgerReply, LedgerRequest};
use pop_signal::handshake::ChannelBinding;
use pop_wire::Keypair;

use crate::browser::{Pipe, greet, pipe, socket};
use crate::network::{HANG, Network};

async fn ask(pipe: &mut Pipe, request: &[u8]) -> LedgerReply {
    let length = u32::try_from(request.len()).unwrap().to_be_bytes();
    pipe.write_all(&[&length[..], request].concat()).await.unwrap();
    pipe.flush().await.unwrap();
    let answering = async {
        let mut length = [0; 4];
        pipe.read_exact(&mut length).await.unwrap();
        let mut reply = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        pipe.read_exact(&mut reply).await.unwrap();
        reply
    };
    let reply = tokio::time::timeout(HANG, answering).await.unwrap();
    LedgerReply::decode(&reply).unwrap()
}

#[tokio::test]
async fn a_browser_asks_the_ledger_again_and_again_until_it_asks_too_much() {
    let network =
        Network::start_with(2, |index, settings| settings.serve_ledger = index == 0).await;
    let keypair = Keypair::from_secret_bytes(&[78; 32]).unwrap();
    let address = &network.nodes[0].web_addresses()[0];
    let mut pipe = pipe(socket(address, "/pop/ledger/1").await.unwrap());
    greet(&mut pipe, &keypair, address, ChannelBinding::none()).await;
    let info = ask(&mut pipe, &LedgerRequest::Info.encode()).await;
    assert!(matches!(info, LedgerReply::Info(_)), "{info:?}");
    assert_eq!(ask(&mut pipe, &[255]).await, LedgerReply::Malformed);
    let mut answers = 0;
    while ask(&mut pipe, &LedgerRequest::Info.encode()).await != LedgerReply::Busy {
        answers += 1;
        assert!(answers < 10_000, "nothing bounds it");
    }
    let other = &network.nodes[1].web_addresses()[0];
    assert_eq!(socket(other, "/pop/ledger/1").await.unwrap_err(), 404);
}
