// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// OpenZeppelin's token, nothing added. It is never deployed: the guest's input brings its storage.
contract Token is ERC20 {
    constructor() ERC20("Murmuration", "BIRD") {}
}
